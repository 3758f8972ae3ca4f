"""What imports accept, replace and add."""

import gzip

import pytest

from tests.contract.emulator.estate import ROLE, Service, interactions_csv, refusal

HEADER = b"USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE\n"


def dataset_of(service: Service) -> str:
    return service.dataset(service.group(), service.schema())


def trained_rows(service: Service, dataset: str) -> int:
    group = dataset.replace(":dataset/", ":dataset-group/").rpartition("/")[0]
    existing = service.control.list_solutions(datasetGroupArn=group)["solutions"]
    solution = existing[0]["solutionArn"] if existing else service.solution(group)
    return len(service.trainer.jobs[service.version(solution)].interactions["USER_ID"])


def test_a_prefix_imports_every_file_below_it_also_compressed(service: Service) -> None:
    dataset = dataset_of(service)
    service.objects.objects = {
        "s3://bucket/day/1.csv": HEADER + b"1,1,1,x\n",
        "s3://bucket/day/2.csv.gz": gzip.compress(HEADER + b"2,2,2,x\n2,3,3,\n"),
        "s3://bucket/other/3.csv": HEADER + b"3,3,3,x\n",
    }
    service.control.create_dataset_import_job(
        jobName="j",
        datasetArn=dataset,
        dataSource={"dataLocation": "s3://bucket/day/"},
        roleArn=ROLE,
    )
    service.pass_time(330)
    assert trained_rows(service, dataset) == 3


def test_columns_may_come_in_any_order_and_unknown_ones_are_passed_over(service: Service) -> None:
    dataset = dataset_of(service)
    content = b"X,EVENT_TYPE,TIMESTAMP,ITEM_ID,USER_ID\nx,watch,5,item,user\n"
    service.imported(dataset, content=content)
    trained_rows(service, dataset)
    (job,) = service.trainer.jobs.values()
    assert job.interactions == {
        "USER_ID": ["user"],
        "ITEM_ID": ["item"],
        "TIMESTAMP": [5],
        "EVENT_TYPE": ["watch"],
        "EVENT_VALUE": [None],
    }


def test_a_full_import_replaces_and_an_incremental_one_adds(service: Service) -> None:
    dataset = dataset_of(service)
    service.imported(dataset, "first", interactions_csv(50, 20))
    service.imported(dataset, "second", interactions_csv(60, 20))
    assert trained_rows(service, dataset) == 1200
    service.imported(dataset, "third", interactions_csv(50, 20), importMode="INCREMENTAL")
    assert trained_rows(service, dataset) == 2200


def test_an_import_counts_only_once_it_is_active(service: Service) -> None:
    dataset = dataset_of(service)
    service.imported(dataset, "first", interactions_csv(50, 20))
    service.objects.objects["s3://bucket/second.csv"] = interactions_csv(60, 20)
    service.control.create_dataset_import_job(
        jobName="second",
        datasetArn=dataset,
        dataSource={"dataLocation": "s3://bucket/second.csv"},
        roleArn=ROLE,
    )
    assert trained_rows(service, dataset) == 1000


@pytest.mark.parametrize("rows", [999, 1000])
def test_an_incremental_import_needs_earlier_data_and_a_thousand_rows(
    service: Service, rows: int
) -> None:
    dataset = dataset_of(service)
    service.objects.objects["s3://bucket/more.csv"] = interactions_csv(rows, 1)
    call = {
        "jobName": "more",
        "datasetArn": dataset,
        "dataSource": {"dataLocation": "s3://bucket/more.csv"},
        "roleArn": ROLE,
        "importMode": "INCREMENTAL",
    }
    create = service.control.create_dataset_import_job
    assert refusal(create, **call)[0] == "InvalidInputException"
    service.imported(dataset, "first")
    if rows < 1000:
        assert refusal(create, **call)[0] == "InvalidInputException"
    else:
        assert create(**call)


@pytest.mark.parametrize(
    "row",
    [
        b"1,2,3.5,x",
        b"1,2,99999999999999999999,x",
        b"1,2,,x",
        b"1,2,3",
        b"1,2,3,x,5",
        b'1,"2,3,x',
        b"\xff,2,3,x",
        b"1,2,1_000,x",
    ],
)
def test_rows_that_do_not_fit_the_schema_are_refused(service: Service, row: bytes) -> None:
    dataset = dataset_of(service)
    with pytest.raises(
        service.control.exceptions.InvalidInputException, match="do not conform to the dataset"
    ):
        service.imported(dataset, content=HEADER + row + b"\n")


def test_a_value_that_is_too_long_is_refused_by_name(service: Service) -> None:
    dataset = dataset_of(service)
    with pytest.raises(
        service.control.exceptions.InvalidInputException,
        match="Length cannot be more than 1000 characters for ITEM_ID",
    ):
        service.imported(dataset, content=HEADER + b"1," + b"x" * 1001 + b",3,x\n")


def test_imports_go_with_their_dataset_and_free_their_names(service: Service) -> None:
    dataset = dataset_of(service)
    job = service.imported(dataset, "job")
    service.control.delete_dataset(datasetArn=dataset)
    service.pass_time(80)
    code, _, _ = refusal(service.control.describe_dataset_import_job, datasetImportJobArn=job)
    assert code == "ResourceNotFoundException"
