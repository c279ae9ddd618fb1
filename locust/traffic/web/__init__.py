"""The master's web routes: the Traffic page with its acts and data, the check of a Start, metrics, the health check."""

import logging
import sys

from locust.web import WebUI

from traffic.settings import SettingsError
from traffic.web.acts import Acts
from traffic.web.files import Files
from traffic.web.guard import Guard
from traffic.web.letters import Letters
from traffic.web.live import Live
from traffic.web.metrics import Metrics
from traffic.web.pages import Pages
from traffic.web.reports import Reports
from traffic.web.site import MasterView, Site
from traffic.web.starting import Starting
from traffic.web.tab import add_tab

__all__ = ["MasterView", "Web"]


EXIT_REFUSED = 4


class Web:
    """Adds the routes to Locust's own; all but /healthz are behind its login where one is set.

    The process ends if the guard cannot be set up: a web UI without it is open to other sites.
    """

    def __init__(self, web_ui: WebUI, master: MasterView) -> None:
        site = Site(web_ui, master)
        starting = Starting(site)
        Pages(site)
        files = Files(site)
        live = Live(site, starting, files.checking)
        Acts(site, starting)
        Letters(site)
        Reports(site)
        Metrics(site, live)
        site.register()
        add_tab(site.app)
        try:
            Guard(site)
        except SettingsError as error:
            logging.getLogger(__name__).error("refused to start: %s", error)  # noqa: TRY400 - it is told to people
            sys.exit(EXIT_REFUSED)
