"""The streams and durable consumers that Conecta consists of, as JetStream's API writes them. Data only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from deploy.provision.cards import Card
from shared.contracts.wire import STREAM_COMMANDS, STREAM_EVENTS, STREAM_PARKED, STREAM_PEOPLE, STREAM_RESOLVED
from shared.messaging.pull import ACK_WAIT
from shared.settings import ProvisionSettings

Config = dict[str, Any]

_KIB, _MIB = 1 << 10, 1 << 20


def _ns(span: timedelta) -> int:
    return int(span / timedelta(microseconds=1)) * 1000


def streams(settings: ProvisionSettings) -> tuple[Config, ...]:
    """Every stream. A full one refuses (`discard: new`) rather than drop what somebody still counts on."""
    return (
        _stream(
            STREAM_COMMANDS,
            "conecta.cmd.>",
            settings,
            description="Accepted commands; their receipts point here",
            max_age=_ns(timedelta(days=7)),
            max_bytes=settings.commands_max_bytes,
            max_msg_size=256 * _KIB,
            discard="new",
            deny_delete=True,
            deny_purge=True,
            republish={"src": "conecta.cmd.>", "dest": "conecta.accepted.>", "headers_only": True},
        ),
        # Full means that relays are refused: facts wait in their journals, nothing old is dropped unheard.
        _stream(
            STREAM_EVENTS,
            "conecta.evt.>",
            settings,
            description="Facts, without personal data; can be rebuilt from the journals",
            max_bytes=settings.events_max_bytes,
            max_msg_size=_MIB,
            discard="new",
            deny_delete=True,
            deny_purge=True,
            allow_direct=True,
        ),
        # Neither denial can ever be taken back, and both ways of erasing are needed here. `discard: old` with
        # no limit but one message per subject drops the former value of a person, and nothing else.
        _stream(
            STREAM_PEOPLE,
            "conecta.people.*",
            settings,
            description="The last value per person; erasable",
            max_msgs_per_subject=1,
        ),
        # Operators put parked messages back, or discard them one by one.
        _stream(
            STREAM_PARKED,
            "conecta.parked.>",
            settings,
            description="Messages whose handling failed for good, with the reason",
            max_age=_ns(timedelta(days=90)),
            max_bytes=256 * _MIB,
            discard="new",
        ),
        # Written by operators alone, which is why services believe its headers: decision record 0020.
        _stream(
            STREAM_RESOLVED,
            "conecta.resolved.*.*",
            settings,
            description="Parked messages that operators put back or discarded, and why",
            max_age=_ns(timedelta(days=90)),
            max_bytes=256 * _MIB,
            discard="new",
            deny_delete=True,
            deny_purge=True,
        ),
    )


def _stream(name: str, subject: str, settings: ProvisionSettings, **own: Any) -> Config:
    """Limits retention on disk. What lets a message's headers do more than carry it stays off (F7)."""
    return {
        "name": name,
        "subjects": [subject],
        "retention": "limits",
        "storage": "file",
        "compression": "none",
        "num_replicas": settings.replicas,
        "duplicate_window": _ns(timedelta(hours=1)),
        "discard": "old",
        "max_consumers": -1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "allow_direct": False,
        "mirror_direct": False,
        "sealed": False,
        "deny_delete": False,
        "deny_purge": False,
        "allow_rollup_hdrs": False,
        "allow_msg_schedules": False,
        "allow_msg_ttl": False,
        "allow_atomic": False,
        **own,
    }


class Durable(NamedTuple):
    """A durable pull consumer; its name is its service's."""

    stream: str
    config: Config


def consumers(cards: tuple[Card, ...]) -> Iterator[Durable]:
    """One per service and stream that it hears."""
    for card in cards:
        for stream, subjects in card.filters().items():
            yield Durable(stream, _consumer(card.service, subjects))


def _consumer(name: str, subjects: tuple[str, ...]) -> Config:
    """`max_deliver: -1`: the service decides when a message has failed for good; none gets stuck unseen."""
    return {
        "name": name,
        "durable_name": name,
        "deliver_policy": "all",
        "replay_policy": "instant",
        "ack_policy": "explicit",
        "ack_wait": _ns(timedelta(seconds=ACK_WAIT)),
        "max_deliver": -1,
        "max_ack_pending": 2048,
        "max_waiting": 512,
        "num_replicas": 0,
        "filter_subjects": sorted(subjects),
    }
