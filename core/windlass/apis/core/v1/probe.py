"""Actions that the agent takes on a container: probes and lifecycle hooks."""

from windlass.apimachinery.schema import Int, IntOrString, ListOf, Nested, Str
from windlass.apis.core.v1.schema import CoreSchema


class ExecAction(CoreSchema):
    """Runs a command in the container; exit code 0 is success."""

    command = ListOf("Command and arguments, run without a shell.", Str("One of them."))


class HTTPHeader(CoreSchema):
    """A header sent with an HTTP request."""

    name = Str("Name of the header.", required=True)
    value = Str("Value of the header.", required=True)


class HTTPGetAction(CoreSchema):
    """Makes an HTTP GET request; codes from 200 to 399 are success."""

    host = Str("Host to connect to; the pod's address when absent.")
    http_headers = ListOf("Headers to send.", HTTPHeader)
    path = Str("Path to ask for.", default="/")
    port = IntOrString("Number or name of the port to connect to.", required=True)
    scheme = Str("Scheme to use.", default="HTTP", enum=("HTTP", "HTTPS"))


class TCPSocketAction(CoreSchema):
    """Opens a TCP connection; being accepted is success."""

    host = Str("Host to connect to; the pod's address when absent.")
    port = IntOrString("Number or name of the port to connect to.", required=True)


class GRPCAction(CoreSchema):
    """Calls the gRPC health service; SERVING is success."""

    port = Int("Number of the port to connect to.", required=True)
    service = Str("Service name put into the health request.", default="")


class SleepAction(CoreSchema):
    """Waits for some time."""

    seconds = Int("How many seconds to wait.", required=True, bits=64)


class Probe(CoreSchema):
    """Checks, again and again, how a container fares."""

    exec = Nested("Checks by a command in the container.", ExecAction)
    failure_threshold = Int("Failures in a row after which the probe has failed.", default=3, minimum=0)
    grpc = Nested("Checks by a gRPC health request.", GRPCAction)
    http_get = Nested("Checks by an HTTP request.", HTTPGetAction)
    initial_delay_seconds = Int("Seconds after the container's start before the first check.", minimum=0)
    period_seconds = Int("Seconds between checks.", default=10, minimum=0)
    success_threshold = Int("Successes in a row after which a failed probe succeeds again.", default=1, minimum=0)
    tcp_socket = Nested("Checks by a TCP connection.", TCPSocketAction)
    termination_grace_period_seconds = Int("Seconds of grace when this probe's failure ends the container.", bits=64)
    timeout_seconds = Int("Seconds after which a check counts as failed.", default=1, minimum=0)


class LifecycleHandler(CoreSchema):
    """What to do at a point of a container's life; exactly one action is given."""

    exec = Nested("Runs a command in the container.", ExecAction)
    http_get = Nested("Makes an HTTP request.", HTTPGetAction)
    sleep = Nested("Waits.", SleepAction)
    tcp_socket = Nested("Kept for old clients; not acted upon.", TCPSocketAction)


class Lifecycle(CoreSchema):
    """Actions at the start and before the end of a container."""

    post_start = Nested("Runs right after the container was created; failure ends the container.", LifecycleHandler)
    pre_stop = Nested("Runs before the container is told to stop; its time counts against the grace period.",
                      LifecycleHandler)
