"""A run: its recipe, folder, journal and checkpoints, its search, its workers and what it says of its progress."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nat_plugin.runs.checking import check_part as check_part
    from nat_plugin.runs.checking import checked_settings as checked_settings
    from nat_plugin.runs.folder import Journal as Journal
    from nat_plugin.runs.folder import begin_folder as begin_folder
    from nat_plugin.runs.folder import check_free as check_free
    from nat_plugin.runs.folder import tidy_folder as tidy_folder
    from nat_plugin.runs.progress import Reporter as Reporter
    from nat_plugin.runs.progress import Silent as Silent
    from nat_plugin.runs.progress import reporter as reporter
    from nat_plugin.runs.recipe import SearchSettings as SearchSettings
    from nat_plugin.runs.search import Search as Search
    from nat_plugin.runs.state import join_state as join_state
    from nat_plugin.runs.state import split_state as split_state
    from nat_plugin.runs.trials import TrialWorkers as TrialWorkers
    from nat_plugin.runs.worker_files import KeptWorkers as KeptWorkers
else:
    from nat_plugin.lazy import lazy_room

    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        {
            "checking": ("check_part", "checked_settings"),
            "folder": ("Journal", "begin_folder", "check_free", "tidy_folder"),
            "worker_files": ("KeptWorkers",),
            "progress": ("Reporter", "Silent", "reporter"),
            "recipe": ("SearchSettings",),
            "search": ("Search",),
            "state": ("join_state", "split_state"),
            "trials": ("TrialWorkers",),
        },
    )
