"""A gRPC server with health, reflection and a graceful stop, the same for every process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry

from sluice_rpc.interceptors import ServerInterceptor
from sluice_rpc.pieces import TRANSPORT_OPTIONS
from sluice_rpc.settings import RpcServerSettings, SettingsError
from sluice_rpc.telemetry import RpcMetrics, serve_metrics

log = structlog.get_logger()

SIGNAL_CHECK_S: Final = 0.5
"""So much later a process at most begins to stop that was told to."""


@dataclass(frozen=True)
class Service:
    """One gRPC service: its full name, how it is added to a server, and which methods are sent pieces of tables."""

    name: str
    add: Callable[[grpc.Server], None]
    taking_pieces: tuple[str, ...] = ()


class RpcServer:
    """The gRPC server of a process; constructed stopped, not yet bound.

    Args:
        process: folder name of the process, for logs and metric names.
        settings: address, threads, limits.
        services: what it serves; each has a health status of its own, and "" stands for all.
        registry: where its metrics go.
    """

    def __init__(
        self, process: str, settings: RpcServerSettings, services: Sequence[Service], registry: CollectorRegistry
    ) -> None:
        self._process = process
        self._settings = settings
        self._registry = registry
        self._names = [service.name for service in services]
        taking_pieces = {f"/{service.name}/{method}" for service in services for method in service.taking_pieces}
        self._executor = ThreadPoolExecutor(settings.worker_thread_count, thread_name_prefix="rpc")
        self._server = grpc.server(
            self._executor,
            interceptors=[ServerInterceptor(RpcMetrics(process, registry), taking_pieces)],
            maximum_concurrent_rpcs=settings.max_concurrent_rpc_count,
            # Two processes on one port would split the calls between them in silence.
            options=[("grpc.so_reuseport", 0), *TRANSPORT_OPTIONS],
        )
        # Health watches wait for ever; they get their own thread so that they never use up those that answer.
        self._health = health.HealthServicer(
            experimental_non_blocking=True, experimental_thread_pool=ThreadPoolExecutor(1, "health")
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for service in services:
            service.add(self._server)
        described = (*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(described, self._server)
        self.port = 0

    def start(self) -> int:
        """Bind, serve, report SERVING, and return the port.

        Raises:
            SettingsError: the address is taken or no address of this machine.
        """
        try:
            self.port = self._server.add_insecure_port(self._settings.listen)
        except RuntimeError as error:
            raise SettingsError(f"listen: {self._settings.listen} cannot be bound") from error
        self._server.start()
        self.report(serving=True)
        log.info("serving", listen=self._settings.listen, port=self.port)
        return self.port

    def report(self, *, serving: bool, service: str | None = None) -> None:
        """Set the health of one service, or of all and of the process."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in [service] if service else ["", *self._names]:
            self._health.set(name, status)

    def stop(self, grace_s: float | None = None) -> None:
        """Report NOT_SERVING, let in-flight calls finish for the grace period, then end the rest."""
        self._health.enter_graceful_shutdown()
        self._server.stop(self._settings.stop_grace_s if grace_s is None else grace_s).wait()
        self._executor.shutdown(wait=True, cancel_futures=True)
        log.info("stopped")

    def serve_until_signal(self, closing: ExitStack) -> None:
        """Serve until SIGTERM or SIGINT, then stop gracefully and close `closing`."""
        asked = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: asked.set())
        metrics = serve_metrics(self._settings.metrics_listen, self._registry)
        with closing:
            self.start()
            # A signal may be handed to another thread; its handler waits for this one, which only time wakes then.
            while not asked.wait(SIGNAL_CHECK_S):
                pass
            self.stop()
        if metrics is not None:
            metrics[0].shutdown()
