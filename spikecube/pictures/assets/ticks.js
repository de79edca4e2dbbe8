// Ticks of a log axis: powers of ten from two decades on, else 1-2-5, or even steps where those are few.
const { start, end } = cb_data;
const [low, high] = [Math.log10(start), Math.log10(end)];
const between = (values) => values.map((v) => Number(v.toPrecision(12))).filter((v) => v >= start && v <= end);
const powers = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, i) => Math.floor(low) + i);
if (high - low >= 2) {
  const every = Math.ceil((high - low) / 9);
  return between(powers.filter((power) => power % every === 0).map((power) => 10 ** power));
}
const digits = between(powers.flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power)));
if (digits.length > 3) return digits;
const rough = (end - start) / 5;
const unit = 10 ** Math.floor(Math.log10(rough));
const step = unit * [1, 2, 5, 10].find((digit) => digit * unit >= rough);
return between(Array.from({ length: 7 }, (_, i) => (Math.ceil(start / step) + i) * step));
