"""What a worker reads of the options by itself: headers, credentials and certificates, which no message carries."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from traffic.core.headers import Field
from traffic.settings.table import BY_NAME


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """`headers` go with every request, after those of the user class; those of `header_file` take their place.

    `certificate` is a PEM file, or a pair of certificate and key.
    """

    headers: tuple[Field, ...] = ()
    header_file: Path | None = None
    ca_file: str | None = None
    certificate: str | tuple[str, str] | None = None
    insecure: bool = False

    @classmethod
    def read(cls, options: argparse.Namespace | None) -> "RequestOptions":
        """Read them. SettingsError if one cannot be used."""

        def value(name: str) -> object:
            return BY_NAME[name].value(getattr(options, name, None))

        return cls(
            headers=cast("tuple[Field, ...]", value("traffic_header")),
            header_file=cast("Path | None", value("traffic_header_file")),
            ca_file=cast("str | None", value("traffic_ca_file")),
            certificate=cast("str | tuple[str, str] | None", value("traffic_client_cert")),
            insecure=cast("bool", value("traffic_insecure")),
        )
