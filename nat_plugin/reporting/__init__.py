"""``report.html``: what a run, a comparison, a training or a compaction found, as one file to look at.

A folder is read (``reading``), what is to be shown of it is put down as plain data (``page``), and a template makes one
file of that, which asks no server for anything (``rendering``, ``report_file``).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nat_plugin.reporting.compactions import COMPACTION_FILE as COMPACTION_FILE
    from nat_plugin.reporting.compactions import JOURNAL as JOURNAL
    from nat_plugin.reporting.report_file import write_report as write_report
else:
    from nat_plugin.lazy import lazy_room

    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        {
            "compactions": ("COMPACTION_FILE", "JOURNAL"),
            "report_file": ("write_report",),
        },
    )
