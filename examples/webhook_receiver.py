"""Receives webhooks, checks who sent them, and does each one once. Needs Python 3.9 and nothing else:

    export PORTAGE_WEBHOOK_SECRET=whsec_...       # what webhookSave has shown
    python3 examples/webhook_receiver.py 9000     # behind something that speaks https
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_SECONDS = 300
BODY_BYTES_MAX = 1024 * 1024

# Several secrets with spaces between, while one replaces the other.
KEYS = [
    base64.b64decode(secret[len("whsec_"):])
    for secret in os.environ.get("PORTAGE_WEBHOOK_SECRET", "").split()
    if secret.startswith("whsec_")
]

# Ids that were done. A real receiver keeps them in its database, in the transaction of what it does.
DONE = set()


def is_genuine(headers, body):
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in KEYS]
    given = [part[len("v1,"):] for part in headers.get("webhook-signature", "").split(" ") if part.startswith("v1,")]
    # Every pair is compared, in constant time.
    return any([hmac.compare_digest(one, other) for one in expected for other in given])


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("content-length", -1))
        if not 0 <= length <= BODY_BYTES_MAX:
            self.answer(400)
            return
        body = self.rfile.read(length)
        if not is_genuine(self.headers, body):
            self.answer(401)
            return
        message_id = self.headers["webhook-id"]
        # It may come again: after a broken connection, or because somebody replays it.
        if message_id not in DONE:
            DONE.add(message_id)
            message = json.loads(body)
            run = message["data"].get("run")
            what = f"{run['id']} {run['status']}" if run else f"{len(message['data']['records'])} records"
            print(f"{message['type']}: {what}", flush=True)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    if not KEYS:
        sys.exit("PORTAGE_WEBHOOK_SECRET is not set")
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1] if len(sys.argv) > 1 else 9000)), Receiver)
    print("listening", flush=True)
    server.serve_forever()
