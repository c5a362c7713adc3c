"""The ``autoisp`` command.

Exit codes: 0 done, 1 the job or one of its checks failed, 2 wrong input or surroundings, 130 Ctrl-C.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

import typer
from autoisp_core.errors import AutoISPError, ErrorCode
from autoisp_runtime.instance import process_name, release
from autoisp_runtime.telemetry.setup import start_tracing
from autoisp_runtime.telemetry.spans import span

from autoisp_cli.app import app
from autoisp_cli.arguments import spread
from autoisp_cli.registry.hints import hint

EXIT_FAILED, EXIT_INPUT, EXIT_INTERRUPTED = 1, 2, 130
_FAILED = frozenset(
    {
        ErrorCode.INTERNAL,
        ErrorCode.UNKNOWN,
        ErrorCode.DATA_LOSS,
        ErrorCode.DEADLINE_EXCEEDED,
        ErrorCode.CANCELLED,
    }
)
# Typer's own click, wherever this version of it keeps that: BadParameter is a UsageError is a ClickException.
_UsageError = typer.BadParameter.__mro__[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code. No expected error shows a traceback."""
    words = spread(sys.argv[1:] if arguments is None else arguments)
    # A plain SIGTERM would end us before the local services are stopped in order.
    signal.signal(signal.SIGTERM, _interrupt)
    stop_tracing = start_tracing("cli", process_name(), release())
    try:
        with span(f"autoisp {words[0] if words else ''}".rstrip()):
            code = typer.main.get_command(app).main(words, prog_name="autoisp", standalone_mode=False)
        if code == EXIT_INTERRUPTED:  # newer typers end so by themselves on Ctrl-C
            print("stopped", file=sys.stderr)
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        print("stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except AutoISPError as error:
        print(f"error: {error.message}{hint(error)}", file=sys.stderr)
        return EXIT_FAILED if error.code in _FAILED else EXIT_INPUT
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not try to flush it once more.
        sys.stdout = None
        return 0
    except Exception as error:
        if not isinstance(error, _UsageError):
            raise
        print(_usage_text(error), file=sys.stderr)
        return EXIT_INPUT
    finally:
        stop_tracing()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _usage_text(error: Exception) -> str:
    message = str(getattr(error, "format_message", error.__str__)())
    if message.startswith("Usage:"):  # a group without a subcommand: its help
        return message
    context = getattr(error, "ctx", None)
    return f"error: {message}" + (f"; see '{context.command_path} --help'" if context else "")


if __name__ == "__main__":
    sys.exit(main())
