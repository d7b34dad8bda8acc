"""What the service aid_calls is made of."""

from __future__ import annotations

from services.aid_calls import commands, queries, subscribers
from shared.contracts.aid_calls import (
    Application,
    Call,
    CallResults,
    CommandOutcome,
    CreateCall,
    ServiceStatus,
    SubmitApplication,
    WithdrawApplication,
)
from shared.contracts.evaluation import RankingFinalised
from shared.messaging import Batched
from shared.service import Service, Timer, run

SERVICE = Service(
    name="aid_calls",
    commands={
        CreateCall: commands.create_call,
        SubmitApplication: Batched(commands.submit_applications),
        WithdrawApplication: commands.withdraw_application,
    },
    questions={Call: queries.call, Application: queries.application, CallResults: queries.call_results},
    command_outcome=CommandOutcome,
    service_status=ServiceStatus,
    facts={RankingFinalised: subscribers.on_ranking_finalised},
    timers=(Timer("calls", commands.open_and_close_calls), Timer("eligibility", commands.rule_on_applications)),
)


def main() -> None:
    """Run aid_calls in this process."""
    run(SERVICE)
