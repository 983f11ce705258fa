"""Turns what can go wrong into one clear line on standard error and an exit code; no tracebacks."""

import sys
from collections.abc import Callable
from typing import NoReturn

import asyncpg
import typer
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from shared.batches import error_text
from shared.database import REFUSALS, connection_failure
from shared.errors import OffersError
from shared.reaching import NOT_PERMITTED

EXIT_FAILED = 2
EMBEDDED = frozenset(("platformdirs", "psutil"))
"""What the servers of `offers up` and `offers bench` import; an image does without."""


def explained(command: Callable[[], object]) -> None:
    """Run a command line; an error that a person can act on becomes its text and exit code 2."""
    try:
        command()
    except OffersError as error:
        _fail(str(error))
    except ValidationError as error:
        _fail(error_text(error))
    except REFUSALS as error:
        _fail(connection_failure(error))
    except ModuleNotFoundError as error:
        if error.name not in EMBEDDED:
            raise
        _fail(f"{error.name} is not installed: pip install 'offers[embedded]'")
    except (OSError, asyncpg.PostgresError) as error:
        of_a_file = isinstance(error, OSError) and error.filename is not None
        _fail(f"a file can't be used: {_line(error)}" if of_a_file else connection_failure(error))
    except NOT_PERMITTED as error:
        _fail(f"OFFERS_KAFKA_SASL_USERNAME: this login may not: {_line(error)} (`offers acls` makes the access list)")
    except KafkaError as error:
        _fail(f"Kafka can't be reached: {_line(error)}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _fail(text: str) -> NoReturn:
    for line in text.splitlines():
        typer.echo(f"error: {line}", err=True)
    sys.exit(EXIT_FAILED)
