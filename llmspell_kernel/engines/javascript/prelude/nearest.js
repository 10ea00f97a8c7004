// The nearest of some names to a wrong one, for the hints of errors.
'use strict';
(function nearest({ clip }) {
  const { apply } = Reflect;
  const { create } = Object;
  const { toLowerCase } = String.prototype;

  // Levenshtein's over two short names; rows are null-prototype objects, as an array's new index could meet a script's setter
  const distance = (a, b) => {
    let row = create(null);
    for (let j = 0; j <= b.length; j++) row[j] = j;
    for (let i = 1; i <= a.length; i++) {
      const next = create(null);
      next[0] = i;
      for (let j = 1; j <= b.length; j++) {
        const change = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
        next[j] = change < row[j] + 1 && change < next[j - 1] + 1 ? change : (row[j] < next[j - 1] ? row[j] : next[j - 1]) + 1;
      }
      row = next;
    }
    return row[b.length];
  };
  const hint = (name, known) => {
    let close = '', all = '';
    for (let i = 0; i < known.length; i++) {
      const apart = distance(apply(toLowerCase, clip(name, 60), []), apply(toLowerCase, known[i], []));
      if (apart <= 1 + known[i].length / 4) close += (close === '' ? '' : ' or ') + "'" + known[i] + "'";
      if (i < 12) all += (all === '' ? '' : ', ') + known[i];
    }
    return close === '' ? (all === '' ? '' : '; known: ' + all) : '; did you mean ' + close + '?';
  };
  return hint;
})
