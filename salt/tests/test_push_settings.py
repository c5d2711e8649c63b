"""
Further settings of a host's pushes: what push-client would refuse is refused before it is written, in words that a person can act on.

The same cases are given to push-client by a test of its crate.
"""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import push_settings
from push_settings import EVERYTHING, GOOD, HOSTILE, NO_FORM, place, pushed, unchecked
from test_firn import Refused, fleet, push


class Settings(unittest.TestCase):
    def test_what_push_client_would_refuse_is_refused_with_minion_host_key_and_what_to_write(self):
        for name, (given, said, _) in HOSTILE.items():
            world = place(given)
            with self.subTest(name):
                with self.assertRaisesRegex(Refused, "(?s)^minion web01, host web01: pillar firn:push:settings.*" + said) as refused:
                    pushed()
                words = str(refused.exception)
                self.assertRegex(words, "; (write|leave) ")
                self.assertTrue(words.isprintable() and len(words) < 600, words)
                self.assertEqual(world.ran, [])
        print(f"{len(HOSTILE)} hostile settings of a push refused")

    def test_without_the_check_each_that_has_a_form_is_written(self):
        for name, (given, _, client) in HOSTILE.items():
            place(given)
            with self.subTest(name):
                self.assertEqual(unchecked() is None, client == NO_FORM)

    def test_good_settings_are_written(self):
        for name, given in GOOD.items():
            place(given)
            with self.subTest(name):
                self.assertEqual(pushed(), unchecked())
        place(EVERYTHING)
        text = pushed()
        self.assertIn('command = ["/usr/local/sbin/quiesce", "--on", ""]\nuser = "postgres"\ntimeout_seconds = 2678400\n', text)
        self.assertIn('[[root]]\npath = "/home"\nread_at = "/run/firn/home"\n', text)
        # What the pillar says of the server is there beside what the formula does.
        self.assertRegex(text, r'\[server\]\naccount = "web01"\ntransport = "ssh"\n(.*\n)*bandwidth_limit = "2MiB/s"\naddress = "backup1.example.org"\nport = 2222\n')

    def test_everything_is_every_key(self):
        given = push_settings.keys(EVERYTHING) + [f"{table}.{key}" for table in ("before", "dump", "root") for key in EVERYTHING[table][0]]
        given += [f"after.{key}" for key in EVERYTHING["before"][0]]
        given += [f"server.{key}" for key in EVERYTHING["server"]] + [f"server.ssh.{key}" for key in EVERYTHING["server"]["ssh"]]
        ours = [*push.OURS, *(f"server.{key}" for key in push.SERVER_OURS)]
        self.assertEqual(sorted(given + ours), push_settings.known())

    def test_snapshots_are_roots_enough(self):
        place({"root": [{"path": "/home", "read_at": "/run/firn/home"}]})
        for roots in ({"roots": []}, {}):
            table = fleet.__pillar__["firn"]["push"]
            table.pop("roots", None)
            table.update(roots)
            self.assertIn("roots = []\n", pushed())
        table["settings"] = {"root": []}
        with self.assertRaisesRegex(Refused, "minion web01, host web01: pillar firn:push:roots: nothing is pushed; write"):
            pushed()

    def test_a_file_that_push_client_would_not_read_is_not_written(self):
        for words, fits in ((250, True), (260, False)):
            place({kind: [{"command": ["true"] + ["a" * 4096] * (words // 2)}] for kind in ("before", "after")})
            with self.subTest(words):
                if fits:
                    self.assertGreater(len(pushed()), 1_000_000)
                    continue
                with self.assertRaisesRegex(Refused, "more than 1048576 bytes; write less"):
                    pushed()


if __name__ == "__main__":
    unittest.main()
