"""Plots inside a page, as any release of matplotlib writes them."""

from __future__ import annotations

import pytest

from nat_plugin.reporting.inline import inline_plot


@pytest.mark.parametrize("target", ["", ' target="_blank"'], ids=["matplotlib 3.10", "matplotlib 3.11"])
def test_a_point_leads_to_its_network_and_is_no_stop_of_the_tab_key(target: str) -> None:
    svg = f'<?xml?><svg xmlns="x" width="1"><a xlink:href="#network-1"{target}><use xlink:href="#m" id="m"/></a></svg>'
    assert inline_plot(svg, "plot1") == (
        '<svg role="none" width="1"><a href="#network-1" aria-label="network 1" tabindex="-1">'
        '<use href="#plot1-m" id="plot1-m"/></a></svg>'
    )
