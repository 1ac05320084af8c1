"""One room for each subject, one module for each experiment: ``add_options`` and ``run``, and ``tables_of`` where pages
have tables of its results."""
