"""What every generator posts that posts one constant record."""

RECORD = {"name": "Ana Maria Nunez", "msg": "a message of about fifty letters, as in the data, 123456"}
BODY = b'{"name": "Ana Maria Nunez", "msg": "a message of about fifty letters, as in the data, 123456"}'
RUN = "20261122-172228-375a"
HEADERS = {"Content-Type": "application/json", "Idempotency-Key": f"{RUN}-1", "Traffic-Worker": "worker-1"}
