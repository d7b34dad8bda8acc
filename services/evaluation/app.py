"""What the service evaluation is made of."""

from services.evaluation import commands, queries, subscribers
from shared.contracts import aid_calls, evaluation, registration
from shared.contracts.evaluation import MeasureReport, PanelProgress, Ranking
from shared.messaging import Batched
from shared.service import Service, run

SERVICE = Service(
    name="evaluation",
    commands={
        evaluation.AssignEvaluator: commands.assign_evaluator,
        evaluation.DeclareConflict: commands.declare_conflict,
        evaluation.SubmitReview: Batched(commands.submit_reviews),
        evaluation.FinaliseRanking: commands.finalise_ranking,
        evaluation.RecordExchangeRate: commands.record_exchange_rate,
    },
    questions={PanelProgress: queries.panel, Ranking: queries.ranking, MeasureReport: queries.measure_report},
    command_outcome=evaluation.CommandOutcome,
    service_status=evaluation.ServiceStatus,
    facts={
        registration.MeetingPublished: subscribers.on_meeting_published,
        registration.RegistrationConfirmed: subscribers.on_registration_confirmed,
        registration.RegistrationPromoted: subscribers.on_registration_promoted,
        registration.RegistrationCancelled: subscribers.on_registration_cancelled,
        aid_calls.CallOpened: subscribers.on_call_opened,
        aid_calls.CallClosed: subscribers.on_call_closed,
        aid_calls.ApplicationSubmitted: subscribers.on_application_submitted,
        aid_calls.ApplicationWithdrawn: subscribers.on_application_withdrawn,
        aid_calls.ApplicationRuledEligible: subscribers.on_application_ruled_eligible,
        aid_calls.ApplicationRuledIneligible: subscribers.on_application_ruled_ineligible,
        aid_calls.AidAwarded: subscribers.on_aid_awarded,
    },
)


def main() -> None:
    """Run evaluation in this process."""
    run(SERVICE)
