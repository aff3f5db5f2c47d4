"""Who works on what: tasks are given out as processes become free. No process and no message is known here."""

from dataclasses import dataclass

ASK_EVERY = 1.0  # seconds: a process is given as much as it does in this time, so that a thousand of them ask a thousand times a second


@dataclass
class Account:
    """Of one process."""

    begin: float | None = None  # when it asked first, seconds
    done: int = 0  # tasks that it has reported


class Ledger:
    """`give` answers a process that has nothing left to do."""

    def __init__(self, tasks, n_processes):
        """tasks: a list, given out in its order."""
        self.tasks, self.at = tasks, 0
        self.accounts = [Account() for _ in range(n_processes)]

    @property
    def n_left(self) -> int:
        """Tasks that nobody was given yet."""
        return len(self.tasks) - self.at

    @property
    def n_done(self) -> int:
        """Tasks that were reported."""
        return sum(account.done for account in self.accounts)

    def report(self, process, done):
        """done: how many tasks a process has done so far."""
        self.accounts[process].done = done

    def give(self, process, now) -> list:
        """The next tasks for a process, in order; none when there are none left. now: seconds of a clock.

        As many as it does in ASK_EVERY, and at most half of its equal share of what is left, so that all end together (guided self-scheduling:
        Polychronopoulos and Kuck, IEEE Transactions on Computers C-36, 1987).
        """
        account = self.accounts[process]
        if account.begin is None:
            account.begin = now
        quick = int(account.done / max(now - account.begin, 1e-3) * ASK_EVERY)
        share = -(-self.n_left // (2 * len(self.accounts)))
        begin = self.at
        self.at = min(len(self.tasks), begin + max(1, min(quick, share)))
        return self.tasks[begin : self.at]

    def stop(self):
        """Give out nothing more."""
        self.at = len(self.tasks)
