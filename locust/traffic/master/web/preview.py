"""Answer what a start with a form's file would send: what is known of the file, and its first request."""

from pathlib import Path
from typing import Any

from flask import Response, request

from traffic.dataset.dataset import DatasetError
from traffic.dataset.fault_list import ManyFaultsError
from traffic.dataset.schema import SchemaError
from traffic.master.threads import in_thread
from traffic.master.web.files import Files
from traffic.master.web.form import Form
from traffic.master.web.routes import Routes, answer, refuse
from traffic.master.wording import for_page
from traffic.settings import Settings, SettingsError
from traffic.settings.arguments import REQUESTS, settings_of
from traffic.settings.table import BY_NAME
from traffic.users.first_request import describe_file, first_request

# What a form may say of it; the rest is as the master was configured.
FIELDS = tuple(name for name in REQUESTS if BY_NAME[name].in_form)


class Preview:
    """Opens the file as a start does, with the loader of the uploads: a start's own progress is not disturbed."""

    def __init__(self, routes: Routes, form: Form, files: Files) -> None:
        self._routes, self._form, self._files = routes, form, files
        routes.add("/traffic/preview", self._preview, "POST")  # so that no other site makes it read files

    def _preview(self) -> Response:
        given = {name: value for name, value in request.form.items() if name in FIELDS}
        file = Path(request.form.get("traffic_file", self._routes.options.traffic_file or "").strip())
        try:
            in_thread(self._form.allowed_files.check, str(file), self._form.uploads)
            settings = settings_of(self._routes.options, given)
            return answer(self._described(file, settings, request.form.get("host", "").strip()))
        except DatasetError as error:
            listed = error.listed if isinstance(error, ManyFaultsError) else (error,)
            return refuse(422, str(error), [one.without_file for one in listed])
        except (SettingsError, SchemaError, ValueError) as error:
            return refuse(400, str(error))

    def _described(self, file: Path, settings: Settings, host: str) -> dict[str, Any]:
        dataset = self._files.checking.open(file, self._routes.folder.path, settings.reading, str(file))
        try:
            users = self._routes.web_ui.environment.user_classes
            own = next((own for one in users if (own := getattr(one, "default_headers", None))), None)
            shown = in_thread(first_request, dataset, settings, host, own)
            described = in_thread(describe_file, dataset, file)
            notes = [for_page(note) for note in described["warnings"]]
            return {**described, "warnings": notes, "request": shown.to_json()}
        finally:
            dataset.close()
