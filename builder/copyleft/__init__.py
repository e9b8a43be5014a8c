"""`sealift sources`: the sources that licences ask for, beside the list that says of each shipped thing why."""
