"""Everything ecglens can refuse, as one tree.

EcgLensError              the base; its numbers are those of a defect               exit 1, HTTP 500
├── UsageError            the caller asked for something that does not exist        exit 2, HTTP 400
│   ├── ConfigError       a configuration file is wrong                             exit 2, HTTP 400
│   └── MissingExtraError an optional dependency is not installed                   exit 2, HTTP 501
├── UnreadableError       the input is not an ECG we can answer for                 exit 3, HTTP 422
│   ├── FileError         the file is missing, empty, truncated, locked             exit 3, HTTP 422
│   ├── FormatError       the content is no format, or no variant, we read          exit 3, HTTP 415
│   ├── SignalError       a signal with missing leads, unknown units, too short     exit 3, HTTP 422
│   └── PictureError      a picture that shows no legible 12-lead ECG               exit 3, HTTP 422
└── ModelError            weights are missing or damaged                            exit 4, HTTP 503

Each message is one sentence that says what is wrong and, after a colon or semicolon, what to do next.
"""

from typing import Final

FAULT: Final = "ecglens failed on this ECG: please report it, with the message above"  # it costs one ECG, not all


class EcgLensError(Exception):
    """Base of all errors raised on purpose; ``str(error)`` is fit for a user."""

    exit_code = 1
    http_status = 500


class UsageError(EcgLensError):
    """The caller asked for something that does not exist or does not fit together."""

    exit_code = 2
    http_status = 400


class ConfigError(UsageError):
    """A configuration or layout file has an unknown key, a wrong type or an impossible value."""


class MissingExtraError(UsageError):
    """An optional dependency is not installed."""

    http_status = 501

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs an optional part: pip install 'ecglens[{extra}]'")
        self.extra = extra


class UnreadableError(EcgLensError):
    """The input cannot be answered for; the message says why and what would help, whatever a file puts into it.

    Characters that do not print, line breaks among them, become U+FFFD.
    """

    exit_code = 3
    http_status = 422

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in message))


class FileError(UnreadableError):
    """The file is missing, empty, truncated, password-protected or not permitted."""


class FormatError(UnreadableError):
    """The content is of no format, or of no variant of a format, that ecglens reads."""

    http_status = 415


class SignalError(UnreadableError):
    """The signal cannot be used: leads missing, units unknown, too short, not finite."""


class PictureError(UnreadableError):
    """The picture does not show a legible 12-lead ECG."""


class ModelError(EcgLensError):
    """Model weights are missing, damaged or do not match their card."""

    exit_code = 4
    http_status = 503
