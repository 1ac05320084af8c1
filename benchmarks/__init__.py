"""What is measured of this project: experiments that anyone can run again, their results, and the tables of the docs.

``python -m benchmarks`` lists the experiments, ``python -m benchmarks NAME`` runs one, ``python -m benchmarks tables``
writes the tables of the documentation, ``python -m benchmarks.data`` builds the files that experiments read.
"""
