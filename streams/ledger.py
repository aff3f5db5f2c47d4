"""Who works on what: tasks are given out as processes become free. No process and no message is known here."""

from dataclasses import dataclass, field

ASK_EVERY = 1.0  # seconds: a process is given about as much as it does in this time, so that a thousand of them ask a thousand times a second


@dataclass
class Account:
    """Of one process."""

    done: int = 0  # tasks that it has reported
    size: int = 1  # tasks that it is given at once
    at: float = 0.0  # seconds: when it was given the last ones,
    done_then: int = 0  # and what it had reported
    in_hand: list = field(default_factory=list)  # tasks that it was given, in order, without those that it is known to have done


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

    def report(self, process, done, last=None):
        """done: how many tasks a process has done so far. last: one of them; those that it was given before it are done too."""
        account = self.accounts[process]
        account.done = done
        if last in account.in_hand:
            del account.in_hand[: account.in_hand.index(last) + 1]

    def give(self, process, now) -> list:
        """The next tasks for a process, in order; none when there are none left. now: seconds of a clock.

        At first one; twice as many as before where it comes back within ASK_EVERY with something done, half as many where that takes longer than
        twice the time; and at most half of its equal share of what is left, so that all end together (guided self-scheduling: Polychronopoulos
        and Kuck, IEEE Transactions on Computers C-36, 1987). What it reads ahead it asks for before anything is done, one by one.
        """
        account = self.accounts[process]
        if account.done > account.done_then:
            if now - account.at < ASK_EVERY:
                account.size *= 2
            elif now - account.at > 2 * ASK_EVERY:
                account.size = max(1, account.size // 2)
        share = -(-self.n_left // (2 * len(self.accounts)))
        account.at, account.done_then, account.size = now, account.done, min(account.size, max(1, share))
        begin = self.at
        self.at = min(len(self.tasks), begin + account.size)
        account.in_hand += self.tasks[begin : self.at]
        return self.tasks[begin : self.at]

    def stop(self):
        """Give out nothing more."""
        self.at = len(self.tasks)
