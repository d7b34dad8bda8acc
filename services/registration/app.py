"""What the service registration is made of."""

from __future__ import annotations

from services.registration import commands, queries
from shared.contracts.registration import (
    CancelRegistration,
    CommandOutcome,
    CreateMeeting,
    FindPerson,
    Meeting,
    PublishMeeting,
    RegisterParticipant,
    RegisterPerson,
    RegistrationCounts,
    ServiceStatus,
)
from shared.messaging import Batched
from shared.service import Service, run

SERVICE = Service(
    name="registration",
    commands={
        RegisterPerson: Batched(commands.register_people),
        CreateMeeting: commands.create_meeting,
        PublishMeeting: commands.publish_meeting,
        RegisterParticipant: Batched(commands.register_participants),
        CancelRegistration: commands.cancel_registration,
    },
    questions={Meeting: queries.meeting, FindPerson: queries.find_person, RegistrationCounts: queries.counts},
    command_outcome=CommandOutcome,
    service_status=ServiceStatus,
    current=queries.current,
)


def main() -> None:
    """Run registration in this process."""
    run(SERVICE)
