import { notFound } from 'next/navigation';

/** Any other address: the not-found page, inside of the shell. */
export default function Page() {
  notFound();
}
