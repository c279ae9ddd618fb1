"""The master's web routes: the Traffic page, its controls and data, the check of a Start, metrics, the health check."""

from locust.web import WebUI

from traffic.master.finish import refuse_to_start
from traffic.master.web.checked_start import CheckedStart
from traffic.master.web.controls import Controls
from traffic.master.web.dead_letters import Letters
from traffic.master.web.files import Files
from traffic.master.web.metrics import Metrics
from traffic.master.web.pages import Pages
from traffic.master.web.reports import Reports
from traffic.master.web.routes import MasterView, Routes
from traffic.master.web.same_origin import SameOriginGuard
from traffic.master.web.status import StatusRoutes
from traffic.master.web.tab_link import add_tab
from traffic.settings import SettingsError

__all__ = ["MasterView", "Web"]


class Web:
    """Adds the routes to Locust's own; all but /healthz are behind its login where one is set.

    The process ends if the guard cannot be set up: a web UI without it is open to other sites.
    """

    def __init__(self, web_ui: WebUI, master: MasterView) -> None:
        site = Routes(web_ui, master)
        starting = CheckedStart(site)
        Pages(site)
        files = Files(site)
        live = StatusRoutes(site, starting, files.checking)
        Controls(site, starting)
        Letters(site)
        Reports(site)
        Metrics(site, live)
        site.register()
        add_tab(site.app)
        try:
            SameOriginGuard(site)
        except SettingsError as error:
            refuse_to_start(error)
