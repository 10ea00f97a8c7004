// Queues of texts for the host: linked lists, because arrays answer to Array.prototype.
'use strict';
(function queues() {
  const newQueue = () => ({ __proto__: null, first: null, last: null });
  const put = (queue, text) => {
    const item = { __proto__: null, text, next: null };
    if (queue.last === null) queue.first = item; else queue.last.next = item;
    queue.last = item;
  };
  // an item that was dropped before it was told is never told
  const drain = (queue) => {
    let text = '';
    for (let item = queue.first; item !== null; item = item.next) {
      if (item.text !== '') text += (text === '' ? '' : ',') + item.text;
      item.text = '';
    }
    queue.first = queue.last = null;
    return '[' + text + ']';
  };
  return { __proto__: null, newQueue, put, drain };
})
