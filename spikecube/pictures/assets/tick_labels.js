// The label of a tick of a log axis: powers of ten where all are, else the number.
const isPower = (value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;
if (ticks.length > 1 && ticks.every(isPower)) {
  return "10" + String(Math.round(Math.log10(tick))).replace(/./g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit] ?? "⁻");
}
return String(Number(tick.toPrecision(6))).replace("-", "−");
