"""Users that do nothing but replay the file, as fast as they can: LOCUSTFILE=locust/replay_locustfile.py."""

from traffic import ReplayUser


class Replay(ReplayUser):
    """Posts the records of the traffic file, each once in total."""
