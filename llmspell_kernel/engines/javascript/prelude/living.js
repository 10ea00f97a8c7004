// What a state may hold so many of: background tasks and timers that have not ended.  Promises alone cost memory only, and have that limit.
'use strict';
(function living(meter) {
  let first = null;
  return {
    __proto__: null,
    // `count` says how many of a kind live
    of(count) { first = { __proto__: null, count, next: first }; },
    begins() {
      let all = 1;
      for (let at = first; at !== null; at = at.next) all += at.count();
      if (all > meter.limit(meter.TASKS)) meter.exceed(meter.TASKS, all);
    },
  };
})
