"""Gives metrics away as the settings say: writes the file, serves HTTP. Trouble with either is told, and no more."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from s3_assets.metrics.exposition import Exposition
from s3_assets.metrics.file import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from wsgiref.simple_server import WSGIServer

    from s3_assets.metrics.table import Key
    from s3_assets.settings import MetricsSettings
    from s3_assets.settings.values import ListenAddress


class Publisher:
    """What this process gives away. Any thread may use it."""

    def __init__(self) -> None:
        """Without anything."""
        self._lock = threading.Lock()
        self._exposition = Exposition()
        self._served: tuple[ListenAddress, WSGIServer] | None = None
        self._told: set[str] = set()

    def publish(
        self, settings: MetricsSettings, sensor: str, of: tuple[str, str], values: Mapping[Key, float]
    ) -> list[str]:
        """Give away what `sensor` measured, with what others did.

        Args:
            settings: Where to.
            sensor: Its name.
            of: Its pipeline and its group.
            values: By metric and labels.

        Returns:
            What went wrong, in words: each trouble once, and again only after it was over.
        """
        with self._lock:
            self._exposition.put(sensor, of, values)
            troubles = {*self._write(settings), *self._serve(settings.metrics_address)}
            new, self._told = troubles - self._told, troubles
            return sorted(new)

    def close(self) -> None:
        """Serve no more."""
        with self._lock:
            self._stop()

    def _write(self, settings: MetricsSettings) -> list[str]:
        path = settings.metrics_file
        if path is None:
            return []
        try:
            write_whole(path, self._exposition.text())
        except OSError as error:
            return [f"no metrics are written to {path}: {error.strerror or error}; each tick tries again"]
        return []

    def _serve(self, address: ListenAddress | None) -> list[str]:
        if self._served is not None and self._served[0] == address:
            return []
        self._stop()
        if address is None:
            return []
        from prometheus_client import start_http_server

        try:
            server, _ = start_http_server(address.port, address.host, self._exposition.registry())
        except OSError as error:  # a name that is not known is one, too
            return [f"no metrics are served at {address}: {error.strerror or error}; each tick tries again"]
        self._served = (address, server)
        return []

    def _stop(self) -> None:
        if self._served is not None:
            _, server = self._served
            server.shutdown()
            server.server_close()
            self._served = None


PUBLISHER = Publisher()
"""That of this process: it has one file and one port, whatever sensors tick in it."""
