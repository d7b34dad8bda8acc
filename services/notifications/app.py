"""What the service notifications is made of."""

from __future__ import annotations

from services.notifications import commands, queries, subscribers
from services.notifications.mailer import send_mails
from shared.contracts import aid_calls, evaluation, notifications, registration
from shared.service import Service, run

SERVICE = Service(
    name="notifications",
    commands={notifications.RetryNotification: commands.retry_notification},
    questions={notifications.NotificationCounts: queries.notification_counts},
    command_outcome=notifications.CommandOutcome,
    service_status=notifications.ServiceStatus,
    facts={
        registration.MeetingPublished: subscribers.on_meeting_published,
        registration.RegistrationConfirmed: subscribers.on_registration_confirmed,
        registration.RegistrationWaitlisted: subscribers.on_registration_waitlisted,
        registration.RegistrationPromoted: subscribers.on_registration_promoted,
        registration.RegistrationCancelled: subscribers.on_registration_cancelled,
        aid_calls.CallOpened: subscribers.on_call_opened,
        aid_calls.ApplicationSubmitted: subscribers.on_application_submitted,
        aid_calls.ApplicationWithdrawn: subscribers.on_application_withdrawn,
        aid_calls.ApplicationRuledEligible: subscribers.on_application_ruled_eligible,
        aid_calls.ApplicationRuledIneligible: subscribers.on_application_ruled_ineligible,
        aid_calls.AidAwarded: subscribers.on_aid_awarded,
        aid_calls.AidReserved: subscribers.on_aid_reserved,
        aid_calls.ApplicationNotSelected: subscribers.on_application_not_selected,
        evaluation.EvaluatorAssigned: subscribers.on_evaluator_assigned,
    },
    records={registration.Person: subscribers.on_person},
    workers=(send_mails,),
)


def main() -> None:
    """Run notifications in this process."""
    run(SERVICE)
