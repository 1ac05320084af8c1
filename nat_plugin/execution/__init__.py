"""Where calls are carried out: in this process, in others of this machine, or wherever an engine takes them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nat_plugin.execution.base import Executor as Executor
    from nat_plugin.execution.base import ExecutorSettings as ExecutorSettings
    from nat_plugin.execution.calls import ExecutorCall as ExecutorCall
    from nat_plugin.execution.choosing import chosen_executor as chosen_executor
    from nat_plugin.execution.choosing import scratch_folder as scratch_folder
    from nat_plugin.execution.sharing import SharedState as SharedState
else:
    from nat_plugin.lazy import lazy_room

    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        {
            "base": ("Executor", "ExecutorSettings"),
            "calls": ("ExecutorCall",),
            "choosing": ("chosen_executor", "scratch_folder"),
            "sharing": ("SharedState",),
        },
    )
