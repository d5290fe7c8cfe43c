"""The classic report, to the letter."""

from lab import Nginx, case, main, run_tallyd


@case
def two_urls_give_two_classic_reports_in_order(lab):
    nginx = Nginx(lab)
    first, second = nginx.url("/200"), nginx.url("/204")
    done = run_tallyd("sample", "-n", 5, first, second)
    assert done.out == (f"report for: {first}\nsaw 200: 5 times\n"
                        f"report for: {second}\nsaw 204: 5 times\n"), done
    assert done.err == "" and done.status == 0, done


@case
def the_older_name_of_the_option_still_works(lab):
    nginx = Nginx(lab)
    done = run_tallyd("sample", "--num-times", 3, nginx.url("/503"))
    assert done.out == f"report for: {nginx.url('/503')}\nsaw 503: 3 times\n", done
    assert done.status == 1, done


@case
def twenty_samples_are_the_default(lab):
    nginx = Nginx(lab)
    done = run_tallyd("sample", nginx.url())
    assert done.out == f"report for: {nginx.url()}\nsaw 200: 20 times\n", done


main()
