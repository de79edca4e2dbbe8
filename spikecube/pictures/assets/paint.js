"use strict";
// Exchanges every colour of a table for its other one, in every model of a document.
function exchange(value, table) {
  if (typeof value === "string") return table[value.toLowerCase()] ?? value;
  if (Array.isArray(value) && value.every((v) => typeof v === "string")) return value.map((v) => exchange(v, table));
  return value;
}
function paint(doc, table) {
  for (const model of doc._all_models.values()) {
    const changes = {};
    for (const property of model) {
      if (!/color|palette/.test(property.attr)) continue;
      const old = property.get_value();
      const isValue = old !== null && typeof old === "object" && "value" in old;
      const colour = exchange(isValue ? old.value : old, table);
      if (String(colour) !== String(isValue ? old.value : old)) changes[property.attr] = isValue ? { value: colour } : colour;
    }
    if (Object.keys(changes).length) model.setv(changes);
  }
}
