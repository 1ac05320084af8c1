"""``report.html``: what a run, a comparison, a training or a compaction found, as one file to look at.

A folder is read (``reading``), what is to be shown of it is put down as plain data (``page``), and a template makes one
file of that, which asks no server for anything (``html``).
"""
