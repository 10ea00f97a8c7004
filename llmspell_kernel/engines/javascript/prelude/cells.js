// How a cell ends: its value or its error, as the JSON that the interpreter reads.
//
// Rule: one `await` and no async function more than it takes.  A cell that has filled its memory must still settle, and each needs some.
'use strict';
(function cells({ clip, isProxy, values, inspect, describe }, valueAt) {
  const { apply } = Reflect;
  const { lastIndexOf, slice } = String.prototype;
  const ReferenceErr = ReferenceError;

  // outcome: '' until the cell has ended; one that ends after the next has begun has an object of its own
  const newCell = () => ({ __proto__: null, outcome: '' });
  let cell = newCell();
  const finished = (value) => '{"values":' + (value === undefined ? '[]' : '[' + values.shownText(value, inspect) + ']') + '}';
  const failed = (error) => '{"fault":' + describe(error) + '}';
  const isPromise = (value) => typeof value === 'object' && value !== null && !isProxy(value) && values.kindOf(value) === 'Promise';

  return {
    __proto__: null,
    begin() { cell = newCell(); },
    outcome: () => cell.outcome,
    // `promise` gives { value } so that a promise as the last expression is not awaited by the engine; here it is, for the reader's sake.
    async watch(promise) {
      const mine = cell;
      try {
        const settled = await promise;
        let value = settled.value;
        if (isPromise(value)) value = await value;
        mine.outcome = finished(value);
      } catch (error) { mine.outcome = failed(error); }
    },
    // A function that the host calls as a cell of its own: `given`, or a global one with what stands before the last dot as `this`.
    async call(path, given, text) {
      const mine = cell;
      try {
        const dot = apply(lastIndexOf, path, ['.']);
        const owner = dot < 0 ? undefined : valueAt(apply(slice, path, [0, dot]));
        const called = given ?? valueAt(path);
        if (typeof called !== 'function') throw new ReferenceErr("there is no global function '" + clip(path, 60) + "'");
        const value = await apply(called, owner, values.revive(values.parse(text)));
        // who asked for a function of the script by its number takes a value, and nobody looks at it
        mine.outcome = given === undefined ? finished(value) : '{"values":[' + values.valueText(value, 'result') + ']}';
      } catch (error) { mine.outcome = failed(error); }
    },
  };
})
