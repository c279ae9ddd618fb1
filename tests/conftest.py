"""What holds for every test."""

import signal

# Under nohup, or in the background of a script, these are ignored, and the processes that tests start would inherit it:
# then nobody could interrupt them, which is what some tests are about.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)
