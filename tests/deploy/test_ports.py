"""Ports: the usual ones, else free ones, kept over restarts."""

import socket
from pathlib import Path

from deploy.embedded.ports import HOST, USUAL_PORTS, choose_ports, free_port, is_free


def listener(port: int) -> socket.socket:
    """A server on that port."""
    return socket.create_server((HOST, port))


def test_free_usual_ports_are_chosen_and_remembered(tmp_path: Path) -> None:
    usual = {"nats": free_port(), "smtp": free_port()}
    assert choose_ports(tmp_path / "ports.json", usual) == usual
    assert (tmp_path / "ports.json").stat().st_mode & 0o777 == 0o600


def test_a_taken_port_is_replaced_by_a_free_one(tmp_path: Path) -> None:
    usual = {"nats": free_port(), "smtp": free_port()}
    with listener(usual["nats"]):
        chosen = choose_ports(tmp_path / "ports.json", usual)
        assert [chosen["smtp"], chosen["nats"] != usual["nats"]] == [usual["smtp"], True]
        assert is_free(chosen["nats"])


def test_a_restart_keeps_its_port_even_if_the_usual_one_is_free_again(tmp_path: Path) -> None:
    usual = {"nats": free_port()}
    with listener(usual["nats"]):
        chosen = choose_ports(tmp_path / "ports.json", usual)
    assert choose_ports(tmp_path / "ports.json", usual) == chosen


def test_a_remembered_port_that_is_taken_now_is_replaced(tmp_path: Path) -> None:
    usual = {"nats": free_port()}
    chosen = choose_ports(tmp_path / "ports.json", usual)
    with listener(chosen["nats"]):
        again = choose_ports(tmp_path / "ports.json", usual)
    assert again != chosen
    assert choose_ports(tmp_path / "ports.json", usual) == again


def test_two_servers_that_usually_have_the_same_port_get_different_ones(tmp_path: Path) -> None:
    port = free_port()
    chosen = choose_ports(tmp_path / "ports.json", {"a": port, "b": port})
    assert chosen["a"] == port
    assert chosen["b"] != port


def test_connections_that_linger_after_a_server_do_not_take_its_port() -> None:
    port = free_port()
    with listener(port) as server, socket.create_connection((HOST, port)) as client:
        accepted, _ = server.accept()
        accepted.close()  # closed by the server first: TIME_WAIT stays on its side
        assert client.recv(1) == b""
    assert is_free(port)


def test_a_server_on_all_addresses_takes_the_port() -> None:
    with socket.create_server(("", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_the_usual_ports_are_all_different() -> None:
    assert len(set(USUAL_PORTS.values())) == len(USUAL_PORTS)
