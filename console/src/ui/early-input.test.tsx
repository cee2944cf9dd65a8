// @vitest-environment jsdom
import { act, cleanup } from '@testing-library/react';
import { useState } from 'react';
import { hydrateRoot, type Root } from 'react-dom/client';
import { renderToString } from 'react-dom/server';
import { afterEach, expect, it } from 'vitest';
import { EarlyInputScript, useEarlyInput } from './early-input.tsx';
import { SearchInput } from './search-input.tsx';

let root: Root | undefined;
afterEach(() => {
  act(() => root?.unmount());
  cleanup();
  document.body.innerHTML = '';
});

/** The page as it comes from the server, with its inline script run as a browser does. */
function serve(page: React.ReactNode): HTMLElement {
  const box = document.body.appendChild(document.createElement('div'));
  box.innerHTML = renderToString(page);
  for (const script of box.querySelectorAll('script')) globalThis.eval(script.textContent);
  return box;
}

function hydrate(box: HTMLElement, page: React.ReactNode): void {
  act(() => {
    root = hydrateRoot(box, page);
  });
}

function Page() {
  const [presses, setPresses] = useState(0);
  const [choice, setChoice] = useState('');
  useEarlyInput();
  return (
    <>
      <EarlyInputScript nonce="n" />
      <button type="button" onClick={() => setPresses(presses + 1)}>
        pressed {presses}
      </button>
      <select value={choice} onChange={(event) => setChoice(event.target.value)}>
        <option value="">any</option>
        <option value="edge">edge</option>
      </select>
      <p>{choice}</p>
    </>
  );
}

it('what is pressed before the page is hydrated is done once it is, and only once', () => {
  const box = serve(<Page />);
  const button = box.querySelector('button')!;
  button.click();
  button.click();
  hydrate(box, <Page />);
  expect(button.textContent).toBe('pressed 1');
  act(() => button.click());
  expect(button.textContent).toBe('pressed 2');
});

it('what is chosen before the page is hydrated stays chosen', () => {
  const box = serve(<Page />);
  const select = box.querySelector('select')!;
  select.value = 'edge';
  select.dispatchEvent(new Event('change', { bubbles: true }));
  hydrate(box, <Page />);
  expect(select.value).toBe('edge');
  expect(box.querySelector('p')!.textContent).toBe('edge');
});

function SearchPage({ late }: { readonly late: string[] }) {
  const [q, setQ] = useState('');
  return (
    <>
      <SearchInput label="Search" value={q} onChange={(text) => late.push(text)} />
      <button type="button" onClick={() => setQ(late.shift() ?? '')}>
        the address follows
      </button>
      <button type="button" onClick={() => setQ('else')}>
        changed from elsewhere
      </button>
    </>
  );
}

function type(field: HTMLInputElement, text: string): void {
  // As the browser does: past the setter that React watches.
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')!.set!.call(field, text);
  field.dispatchEvent(new Event('input', { bubbles: true }));
}

it('what is typed into a search before the page is hydrated is searched for', () => {
  const sent: string[] = [];
  const box = serve(<SearchPage late={sent} />);
  const field = box.querySelector('input')!;
  type(field, 'hel');
  hydrate(box, <SearchPage late={sent} />);
  expect(field.value).toBe('hel');
  expect(sent).toEqual(['hel']);
});

it('an address that follows late does not take back what was typed meanwhile', () => {
  const sent: string[] = [];
  const box = serve(<SearchPage late={sent} />);
  hydrate(box, <SearchPage late={sent} />);
  const field = box.querySelector('input')!;
  const [follow, elsewhere] = [...box.querySelectorAll('button')];
  for (const text of ['h', 'he', 'hel']) act(() => type(field, text));
  act(() => follow!.click());
  expect(field.value).toBe('hel');
  act(() => follow!.click());
  act(() => follow!.click());
  expect(field.value).toBe('hel');
  act(() => elsewhere!.click());
  expect(field.value).toBe('else');
});
