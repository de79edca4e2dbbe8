const label = button.label;
navigator.clipboard.writeText(code.value).then(() => {
  button.label = "copied";
  setTimeout(() => { button.label = label; }, 1500);
});
