"""Claims about salt/pillar/backup_server.py. Run: python3 -m unittest discover -s salt/tests -p test_backup_server.py"""

import collections
import importlib.util
import pathlib
import unittest

_PATH = pathlib.Path(__file__).resolve().parent.parent / "pillar" / "backup_server.py"
_SPEC = importlib.util.spec_from_file_location("backup_server", _PATH)
backup_server = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(backup_server)

HOSTS = ["web{:05}.example.org".format(number) for number in range(10000)]
THREE = {"backup1": 1, "backup2": 1, "backup3": 1}
FOUR = {**THREE, "backup4": 1}


def placed(servers, place=backup_server.server_of):
    return {host: place(host, servers) for host in HOSTS}


def moved(before, after):
    return [host for host in HOSTS if before[host] != after[host]]


class Rendezvous(unittest.TestCase):
    def test_the_golden_hosts_keep_their_servers(self):
        got = [backup_server.server_of(host, THREE) for host in ("web01", "db1.example.org", "mail07", "h")]
        self.assertEqual(got, ["backup2", "backup2", "backup3", "backup2"])

    def test_the_order_of_the_servers_does_not_matter(self):
        backwards = dict(reversed(list(FOUR.items())))
        self.assertEqual(placed(FOUR), placed(backwards))

    def test_each_of_equal_servers_takes_its_share(self):
        counts = collections.Counter(placed(FOUR).values())
        for server, count in counts.items():
            self.assertTrue(2350 <= count <= 2650, (server, count))

    def test_a_new_server_takes_its_share_and_moves_no_others(self):
        before, after = placed(THREE), placed(FOUR)
        hosts = moved(before, after)
        self.assertTrue(2350 <= len(hosts) <= 2650, len(hosts))
        self.assertEqual({after[host] for host in hosts}, {"backup4"})

    def test_a_removed_server_gives_up_its_own_hosts_and_no_others(self):
        before, after = placed(FOUR), placed(THREE)
        self.assertEqual({before[host] for host in moved(before, after)}, {"backup4"})

    def test_the_control_the_remainder_of_a_hash_moves_most_hosts(self):
        def remainder(host, servers):
            return sorted(servers)[int.from_bytes(host.encode(), "big") % 1000003 % len(servers)]

        self.assertGreater(len(moved(placed(THREE, remainder), placed(FOUR, remainder))), 7000)

    def test_twice_the_weight_takes_twice_the_hosts(self):
        counts = collections.Counter(placed({"backup1": 1, "backup2": 2}).values())
        self.assertTrue(6500 <= counts["backup2"] <= 6830, counts)
        self.assertEqual(placed({"a": 3, "b": 3}), placed({"a": 1, "b": 1}))

    def test_a_changed_weight_moves_hosts_in_one_direction_only(self):
        before, after = placed(THREE), placed({**THREE, "backup3": 2})
        self.assertEqual({after[host] for host in moved(before, after)}, {"backup3"})

    def test_what_is_no_list_of_servers_is_refused(self):
        for servers in ({}, [], None, {"a": 0}, {"a": -1}, {"a": True}, {"a": "1"}, {"a": float("nan")}, {"": 1}, {"a\0": 1}, {7: 1}):
            with self.assertRaises(ValueError, msg=repr(servers)):
                backup_server.server_of("web01", servers)
        for host in ("", "h" * 256, None, "a\0b"):
            with self.assertRaises(ValueError, msg=repr(host)):
                backup_server.server_of(host, THREE)

    def test_a_host_is_told_its_server_and_a_server_its_hosts(self):
        about = {"backup1": {"address": "192.0.2.1"}, "backup2": {"address": "192.0.2.2", "weight": 2}}
        name = backup_server.server_of("web01", {"backup1": 1, "backup2": 2})
        self.assertEqual(
            backup_server.ext_pillar("web01", {}, servers=about),
            {"backup_server": name, "firn": {"server": {"minion": name, "address": about[name]["address"]}}},
        )
        self.assertEqual(
            backup_server.ext_pillar("backup2", {}, servers=about),
            {"firn": {"server": {"minion": "backup2", "address": "192.0.2.2", "minions": "I@backup_server:backup2"}}},
        )

    def test_a_mistake_in_the_list_stops_the_pillar(self):
        good = {"address": "192.0.2.1"}
        for servers in (
            None,
            [],
            {},
            {"a or *": good},
            {"a": None},
            {"a": {}},
            {"a": {"address": 7}},
            {"a": {**good, "wieght": 2}},
            {"a": {**good, "weight": 0}},
        ):
            with self.assertRaises(ValueError, msg=repr(servers)):
                backup_server.ext_pillar("web01", {}, servers=servers)


if __name__ == "__main__":
    unittest.main()
