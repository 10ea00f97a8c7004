// sleep, async.sleep, async.timeout and async.map: waiting, without keeping anything else from going on.
'use strict';
(function pauses({ shown, fault }, { ask, abandon, headOf }, sleep, signals) {
  const { apply, defineProperty } = Reflect;
  const TypeErr = TypeError, Num = Number, P = Promise, { from } = Array;
  const { AbortController } = signals.globals;
  const head = headOf('timer', 'sleep');

  const timed = async (promise, entry, seconds) => {
    const late = async () => {
      await entry.promise;
      throw fault('timeout', 'TimeoutError', 'not done after ' + seconds + ' s');
    };
    // whichever is settled first settles this, and the other finds nobody
    return await new P((resolve, reject) => {
      const settle = async (waits) => {
        try { resolve({ __proto__: null, value: await waits() }); } catch (error) { reject(error); } finally { abandon(entry); }
      };
      settle(async () => await promise);
      settle(late);
    });
  };
  const inTime = async (promise, seconds, site) => {
    if (!(Num(seconds) >= 0)) throw new TypeErr('async.timeout takes a number of seconds as its second argument');
    return (await timed(promise, sleep(Num(seconds) * 1000, site, false), seconds)).value;
  };
  const map = async (items, called, { concurrency = 8 } = {}) => {
    if (typeof called !== 'function') throw new TypeErr('async.map takes a function as its second argument');
    if (typeof concurrency !== 'number' || !(concurrency >= 1)) throw new TypeErr('async.map: concurrency must be a number of at least 1');
    const list = apply(from, undefined, [items]), results = [], failure = new AbortController();
    const { signal } = failure;
    for (let i = 0; i < list.length; i++) defineProperty(results, i, shown(undefined));
    let at = 0, working = 0;
    return await new P((resolve, reject) => {
      const work = async () => {
        working++;
        try {
          while (at < list.length && !signals.isAborted(signal)) {
            const index = at++;
            results[index] = await called(list[index], index, signal);
          }
        } catch (error) {
          reject(error);
          failure.abort(error);
        }
        if (--working === 0) resolve(results);
      };
      working = 1;
      for (let i = 0; i < list.length && i < concurrency; i++) work();
      if (--working === 0) resolve(results);
    });
  };
  const { timeout } = { timeout(promise, seconds) { return inTime(promise, seconds, timeout); } };
  const global = { sleep: { sleep(...args) { return ask(head, '}', args, global.sleep); } }.sleep };
  return {
    __proto__: null, sleep: global.sleep,
    async: {
      map(items, called, options) { return map(items, called, options); },
      sleep: global.sleep,
      timeout,
    },
  };
})
