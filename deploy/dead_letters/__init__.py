"""Looks at dead letters and sends them again, each once."""

from deploy.dead_letters.letters import DeadLetter, Wanted
from deploy.dead_letters.replaying import Listing, list_dead_letters, replay_dead_letters

__all__ = ["DeadLetter", "Listing", "Wanted", "list_dead_letters", "replay_dead_letters"]
