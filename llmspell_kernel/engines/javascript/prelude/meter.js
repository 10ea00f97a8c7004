// Limits of a state, and its clock: numbers in bytes that the interpreter shares with us (meter.py).
'use strict';
(function meter(shared) {
  const numbers = new Float64Array(shared);
  const { floor } = Math;
  const TIME = 0, MET = 1, USED = 2, POLLS = 3, FIRST = 4;
  return {
    __proto__: null,
    CALLS: 1, CALL_BYTES: 2, TASKS: 3,
    limit: (which) => numbers[FIRST + which - 1],
    // A limit is met: the interrupt handler sees it and ends whatever runs, as no error could that a script may catch.
    exceed(which, used) {
      numbers[USED] = used;
      numbers[MET] = which;
      for (;;);
    },
    // The three that meter.py puts the engine's count back with; each counts as one call, and as one jump for each round.
    untilPoll() {
      const before = numbers[POLLS];
      let rounds = 0;
      do { rounds++; } while (numbers[POLLS] === before);
      return '' + rounds;
    },
    spin(rounds) {
      let left = +rounds;
      do { left--; } while (left > 0);
      return '';
    },
    pass() { return ''; },
    now: () => floor(numbers[TIME]),
  };
})
