"""Serve the traffic files: list, upload and delete them."""

from pathlib import Path

from flask import Response, request

from traffic.core.reading import Reading
from traffic.master.threads import in_thread
from traffic.master.web.file_store import FileStore, NameRefusedError, plain_name
from traffic.master.web.routes import Routes, answer, refuse
from traffic.master.web.upload import Checking, Upload, UploadError
from traffic.ownership import is_folder
from traffic.settings import BY_NAME, SettingsError
from traffic.settings.arguments import READING, settings_of


class Files:
    """Lists, receives and deletes traffic files. `checking` checks those that were received."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        # As configured: a start from the form puts another file into the options.
        self._configured = BY_NAME["traffic_file"].text(routes.options.traffic_file)
        self._folder = Path(self._configured).parent
        self._counts: dict[str, int] = {}
        schema = BY_NAME["traffic_schema"].text(routes.options.traffic_schema)
        self.checking = Checking(Path(schema) if schema else None)
        routes.add("/traffic/files", self._list)
        routes.add("/traffic/files/<text:name>", self._put, "PUT")
        routes.add("/traffic/files/<text:name>", self._delete, "DELETE")

    @property
    def _store(self) -> FileStore:
        return FileStore(self._folder, self._routes.folder.path, self._counts)

    def _list(self) -> Response:
        return answer({"folder": str(self._folder), "files": in_thread(self._store.listed)})

    def _put(self, name: str) -> Response:
        store = self._store
        try:
            kept_name = plain_name(name)
        except NameRefusedError as error:
            return refuse(400, f"{name[:100]!r} cannot be used: {error}. Rename the file.")
        if request.content_length is None:
            return refuse(411, "The request must say how long the file is, in Content-Length.")

        def check_allowed() -> None:
            if self._in_use(store.uploads / kept_name):
                raise UploadError(409, f"{kept_name} is being read by the live run. Stop the run, or rename the file.")

        try:
            check_allowed()
            reading = self._reading()
            upload = Upload(store, self.checking, self._routes.folder.path, check_allowed, reading)
            return answer(upload.store_file(kept_name, request.content_length, request.stream), 201)
        except SettingsError as error:
            return refuse(400, str(error))
        except UploadError as error:
            return refuse(error.status, str(error), error.findings or ())

    def _reading(self) -> Reading:
        """Return how an upload is read: as its query says, else as the master was configured."""
        given = {name: value for name, value in request.args.items() if name in READING}
        return settings_of(self._routes.options, given).reading

    def _delete(self, name: str) -> Response:
        try:
            path = self._store.uploads / plain_name(name)
        except NameRefusedError:
            return _unknown(name)
        if self._in_use(path):
            return refuse(409, f"{path.name} is being read by the live run. Stop the run first.")
        if not is_folder(path.parent) or not in_thread(self._routes.folder.is_ours):
            return _unknown(name)
        try:
            in_thread(path.unlink)
        except (FileNotFoundError, IsADirectoryError):
            return _unknown(name)
        except OSError as error:
            return refuse(500, f"{path} cannot be deleted ({error.strerror}).")
        return answer({"ok": True, "traffic_file": self._offered_without(path)})

    def _offered_without(self, deleted: Path) -> str:
        """Return the file that forms offer: the configured one, if the one of the last start was deleted."""
        options = self._routes.options
        if Path(str(options.traffic_file or "").strip()) == deleted:
            options.traffic_file = self._configured
        return str(options.traffic_file)

    def _in_use(self, path: Path) -> bool:
        """Return whether the live run reads this file."""
        live = self._routes.live
        return live is not None and live.dataset.file.resolve() == path.resolve()


def _unknown(name: str) -> Response:
    return refuse(404, f"No file {name[:100]!r} has been uploaded.")
