"""The master's web routes: the Traffic page, its controls and data, the check of a Start, metrics, the health check."""

from locust.web import WebUI

from traffic.locust_patches.web_ui import put_before
from traffic.master.finish import refuse_to_start
from traffic.master.web.checked_start import CheckedStart
from traffic.master.web.controls import Controls
from traffic.master.web.dead_letters import DeadLetterRoutes
from traffic.master.web.files import Files
from traffic.master.web.metrics import Metrics
from traffic.master.web.pages import Pages
from traffic.master.web.preview import Preview
from traffic.master.web.proxies import TrustedProxies, read_networks
from traffic.master.web.reports import Reports
from traffic.master.web.results import ResultsRoutes
from traffic.master.web.routes import MasterView, Routes
from traffic.master.web.same_origin import SameOriginGuard
from traffic.master.web.status import StatusRoutes
from traffic.master.web.tab_link import add_tab
from traffic.settings import SettingsError

__all__ = ["MasterView", "Web"]


class Web:
    """Adds the routes to Locust's own. All but /healthz are behind Locust's login, if one is set.

    The process ends if the guard cannot be set up, because a web UI without it is open to other sites.
    """

    def __init__(self, web_ui: WebUI, master: MasterView) -> None:
        routes = Routes(web_ui, master)
        checked_start = CheckedStart(routes)
        Pages(routes)
        files = Files(routes)
        status_routes = StatusRoutes(routes, checked_start, files.checking)
        Preview(routes, checked_start.form, files)
        Controls(routes, checked_start)
        DeadLetterRoutes(routes)
        Reports(routes)
        ResultsRoutes(routes)
        Metrics(routes, status_routes)
        routes.register()
        add_tab(routes.app)
        try:
            SameOriginGuard(routes)
            if networks := read_networks(str(routes.options.traffic_trusted_proxies or "")):
                put_before(routes.app, lambda app: TrustedProxies(app, networks))
        except SettingsError as error:
            refuse_to_start(error)
