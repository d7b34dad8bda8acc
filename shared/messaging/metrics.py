"""What a service counts for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

COMMANDS = Counter("conecta_commands", "Commands decided", ["service", "command", "status"])
FACTS = Counter("conecta_facts_heard", "Facts handled", ["service", "fact"])
QUESTIONS = Counter("conecta_questions", "Questions answered", ["service", "question", "status"])
BATCH = Histogram(
    "conecta_batch_size",
    "Messages in one transaction",
    ["service", "stream"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
HANDLING = Histogram(
    "conecta_batch_seconds",
    "From the arrival of a batch to its commit",
    ["service", "stream"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60),
)
FAILURES = Counter("conecta_handler_failures", "Attempts that raised", ["service", "stream"])
PARKED = Counter("conecta_parked", "Messages parked", ["service", "stream"])
OUTAGES = Counter("conecta_database_outages", "Batches that met an outage of the database", ["service", "stream"])
CONSUMER_PENDING = Gauge("conecta_consumer_pending", "Messages not yet delivered", ["service", "stream"])
CONSUMER_UNACKED = Gauge(
    "conecta_consumer_unacknowledged", "Messages delivered, not yet settled", ["service", "stream"]
)
JOURNAL_UNPUBLISHED = Gauge("conecta_journal_unpublished", "Facts not yet on the bus", ["service"])
PUBLISHED = Counter("conecta_facts_published", "Facts that JetStream acknowledged", ["service"])
RELAY_LEADER = Gauge("conecta_relay_leader", "1 where this process publishes the journal", ["service"])
