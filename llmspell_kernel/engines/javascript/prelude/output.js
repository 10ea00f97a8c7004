// Printing: lines are kept here until the script suspends, up to a limit.
'use strict';
(function output({ newQueue, put }) {
  const { stringify } = JSON;
  const MAX_PRINTED = 8 * 1024 * 1024;
  let printed = newQueue(), printedSize = 0, isCut = false;
  return {
    __proto__: null,
    print(stream, line) {
      const text = line + '\n';
      if (printedSize + text.length > MAX_PRINTED) {
        if (!isCut) put(printed, '[2,"[output cut: more than 8 MB were printed without an await]\\n"]');
        isCut = true;
        return;
      }
      printedSize += text.length;
      if (printed.last !== null && printed.last.stream === stream) printed.last.raw += text;
      else { put(printed, ''); printed.last.stream = stream; printed.last.raw = text; }
    },
    isEmpty: () => printed.first === null,
    drain() {
      // taken away before it is written: what a full memory cannot write must not be in the way of all later cells
      const { first } = printed;
      printed = newQueue();
      printedSize = 0;
      isCut = false;
      let text = '';
      try {
        for (let item = first; item !== null; item = item.next) {
          text += (text === '' ? '' : ',') + (item.text === '' ? '[' + item.stream + ',' + stringify(item.raw) + ']' : item.text);
        }
      } catch (_) { return '[[2,"[output lost: there was no memory left to write it]\\n"]]'; }
      return '[' + text + ']';
    },
  };
})
