"""TLS with registries: whose certificates count, and a failed handshake in words."""

import ssl
from collections.abc import Iterable
from pathlib import Path

from bundles.errors import FormatError
from bundles.files import os_errors
from bundles.registry.wire import Broken, HostTls


def tls_context(ca_files: Iterable[Path], host: HostTls) -> ssl.SSLContext:
    """The system's trust and these files'; certificates and names are checked unless `host` says otherwise.

    Raises FormatError for files that are no certificates or keys, MissingError for missing ones.
    """
    context = ssl.create_default_context()
    for path in (*ca_files, *([host.ca_file] if host.ca_file else ())):
        with os_errors(path):
            try:
                context.load_verify_locations(cafile=path)
            except ssl.SSLError as exc:
                raise FormatError("not a file of CA certificates", where=path, want="PEM") from exc
    if host.cert_file is not None:
        with os_errors(host.cert_file):
            try:
                context.load_cert_chain(host.cert_file, host.key_file, password=_no_password)
            except (ssl.SSLError, ValueError) as exc:
                hint = "the certificate and its key, without a password, as PEM"
                raise FormatError("not a client's certificate and key", where=host.cert_file, hint=hint) from exc
    if not host.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def tls_broken(error: BaseException, *, connected: bool) -> Broken:
    """A failed handshake; one that fails for its certificate is not tried again."""
    text = str(error)
    fatal = "CERTIFICATE_VERIFY_FAILED" in text or "WRONG_VERSION" in text or "CERTIFICATE_REQUIRED" in text.upper()
    return Broken(f"TLS: {_reason(text)}", connected=connected, fatal=fatal)


def _reason(text: str) -> str:
    for mark, reason in (
        ("self-signed", "a certificate that nobody known signed"),
        ("unable to get local issuer", "a certificate that nobody known signed"),
        ("Hostname mismatch", "the certificate is another host's"),
        ("IP address mismatch", "the certificate is another host's"),
        ("doesn't match", "the certificate is another host's"),
        ("expired", "the certificate has expired"),
        ("CERTIFICATE_REQUIRED", "the registry wants a client's certificate"),
        ("WRONG_VERSION_NUMBER", "the registry does not speak TLS here"),
    ):
        if mark in text:
            return reason
    return "no secure connection"


def _no_password() -> str:
    return ""  # without this, OpenSSL would ask at the terminal
