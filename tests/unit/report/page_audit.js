// Returns what is wrong with the page as it is laid out now: lists that must all be empty.
const shown = (element) => {
  const box = element.getBoundingClientRect();
  const style = getComputedStyle(element);
  return box.width > 1 && box.height > 1 && style.visibility === "visible" && element.checkVisibility();
};
const told = (element) => `${element.tagName.toLowerCase()}.${element.className}: ${element.textContent.trim().slice(0, 40)}`;
const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
const luminance = ([red, green, blue]) => 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = numbers(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour;
  }
  return numbers(getComputedStyle(document.documentElement).colorScheme.includes("dark") && matchMedia("(prefers-color-scheme: dark)").matches ? "rgb(18, 18, 18)" : "rgb(255, 255, 255)");
};
const contrast = (colour, element) => {
  const [high, low] = [luminance(numbers(colour)), luminance(behind(element))].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
};
const inScroller = (element) => element.closest(".scroll, pre") !== null;
const unseen = (element) => element.closest(".unseen, .skip, .map, script, style, option") !== null;

const found = { wide: [], small: [], clipped: [], pale: [], faint: [], nameless: [] };
if (document.documentElement.scrollWidth > innerWidth) found.wide.push(`page: ${document.documentElement.scrollWidth} of ${innerWidth}`);
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const owners = new Set();
while (walker.nextNode()) if (walker.currentNode.data.trim()) owners.add(walker.currentNode.parentElement);
for (const element of owners) {
  if (unseen(element) || !shown(element)) continue;
  const style = getComputedStyle(element);
  if (parseFloat(style.fontSize) < 11) found.small.push(`${style.fontSize} ${told(element)}`);
  if (contrast(style.color, element) < 4.5) found.pale.push(`${contrast(style.color, element).toFixed(2)} ${told(element)}`);
  const box = element.getBoundingClientRect();
  if (!inScroller(element) && (box.right > innerWidth + 1 || box.left < -1)) found.wide.push(told(element));
  for (let at = element; at && at !== document.body; at = at.parentElement) {
    if (at.classList.contains("scroll")) break;
    const hides = getComputedStyle(at);
    if (["hidden", "clip"].includes(hides.overflowX) && at.scrollWidth > at.clientWidth + 1) found.clipped.push(told(element));
  }
}
for (const mark of document.querySelectorAll(".track b, .track i, .legend i")) {
  if (!shown(mark)) continue;
  const style = getComputedStyle(mark);
  const colour = mark.matches("b") ? style.borderTopColor : style.backgroundColor;
  if (contrast(colour, mark.parentElement) < 3) found.faint.push(`${contrast(colour, mark.parentElement).toFixed(2)} ${colour}`);
}
for (const element of document.querySelectorAll("a, button, select, input, img, [role=region], [role=group], nav, table")) {
  if (!shown(element) || element.closest(".map *")) continue;
  const name = element.getAttribute("aria-label") || element.alt || element.closest("label")?.textContent || element.caption?.textContent || element.textContent;
  if (!name || !name.trim()) found.nameless.push(element.outerHTML.slice(0, 80));
}
return found;
