// @vitest-environment jsdom
import { act, cleanup } from '@testing-library/react';
import { hydrateRoot, type Root } from 'react-dom/client';
import { renderToString } from 'react-dom/server';
import { afterEach, expect, it, vi } from 'vitest';
import { SignInForm } from './sign-in-form.tsx';

let root: Root | undefined;
afterEach(() => {
  act(() => root?.unmount());
  cleanup();
  vi.unstubAllGlobals();
  document.body.innerHTML = '';
});

function serve(form: React.ReactNode): HTMLElement {
  const box = document.body.appendChild(document.createElement('div'));
  box.innerHTML = renderToString(form);
  return box;
}

it('the form as the server sends it signs in by itself and leads to where one wanted to go', () => {
  const form = serve(<SignInForm next="/sources" refused={null} />).querySelector('form')!;
  expect([form.method, new URL(form.action).pathname]).toEqual(['post', '/api/session']);
  form.querySelector<HTMLInputElement>('[type=password]')!.value = 'open sesame';
  expect(Object.fromEntries(new FormData(form))).toEqual({ user: 'admin', password: 'open sesame', next: '/sources' });
  expect(form.querySelector('button')!.type).toBe('submit');
});

it('what is typed before the scripts run is what they send', async () => {
  const fetched = vi.fn(() =>
    Promise.resolve(
      Response.json(
        {
          type: 'urn:oaas:error:Unauthenticated',
          title: 'Not signed in',
          status: 401,
          code: 'Unauthenticated',
          detail: 'The user name or the password is wrong.',
        },
        { status: 401 },
      ),
    ),
  );
  vi.stubGlobal('fetch', fetched);
  const page = <SignInForm next="/" refused={null} />;
  const box = serve(page);
  const [user, password] = ['user', 'password'].map((name) => box.querySelector<HTMLInputElement>(`[name=${name}]`)!);
  user!.value = 'ada';
  password!.value = 'open sesame';
  act(() => {
    root = hydrateRoot(box, page);
  });
  expect([user!.value, password!.value]).toEqual(['ada', 'open sesame']);
  await act(async () => {
    box.querySelector('form')!.requestSubmit();
    await Promise.resolve();
  });
  const [, init] = fetched.mock.calls[0] as unknown as [string, { body: string }];
  expect(JSON.parse(init.body)).toEqual({ user: 'ada', password: 'open sesame' });
  expect(box.querySelector('[role=alert]')!.textContent).toContain('wrong');
  expect(password!.value).toBe('open sesame');
});

it('a refusal that the browser comes back with is said, and nothing else that stands in the address', () => {
  expect(serve(<SignInForm next="/" refused="wrong" />).textContent).toContain('password is wrong');
  expect(serve(<SignInForm next="/" refused="Call 555-0100" />).textContent).not.toContain('555');
});
